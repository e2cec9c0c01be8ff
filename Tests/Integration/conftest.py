import pytest

from servers import Postgres, Stack, require


@pytest.fixture(scope="session")
def postgres():
    require("relaygate")
    server = Postgres()
    yield server
    server.stop()


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
