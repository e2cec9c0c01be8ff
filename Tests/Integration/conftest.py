import pytest

from servers import Postgres, Stack, require
from standby import Standby


@pytest.fixture(scope="session")
def postgres(request):
    require("relaygate")
    server = Postgres()
    # Not as the last test ends: on a busy disk hundreds of databases take longer to remove than a test may.
    request.config.add_cleanup(server.stop)
    return server


@pytest.fixture
def make_stack(postgres, tmp_path_factory):
    """Starts stacks of the test's own; all of them are stopped after it, and none may have crashed."""
    stacks = []

    def make(**options):
        stacks.append(Stack(postgres, tmp_path_factory.mktemp("stack"), **options))
        return stacks[-1]

    yield make
    for stack in stacks:
        status = stack.stop()
        assert status in (0, -9), f"the gateway ended with {status}: {stack.gateway.log_path.read_text()[-4000:]}"


@pytest.fixture
def primary():
    """A server of the test's own: its settings are changed."""
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture
def standby(primary):
    copy = Standby(primary)
    yield copy
    copy.stop()
