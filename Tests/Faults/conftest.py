import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Integration"))

from cluster import Cluster, FaultPostgres  # noqa: E402


@pytest.fixture
def seed(request):
    """Printed, so that a failure can be repeated: RELAY_SEED=<seed> pytest Tests/Faults -k <test>."""
    value = int(os.environ.get("RELAY_SEED", random.randrange(1 << 32)))
    print(f"RELAY_SEED={value}")
    random.seed(value)
    return value


@pytest.fixture(scope="session")
def postgres():
    server = FaultPostgres()
    yield server
    server.thaw()
    server.stop()


@pytest.fixture
def make_cluster(postgres, tmp_path_factory, seed):
    clusters = []

    def make(**options):
        postgres.heal()
        clusters.append(Cluster(postgres, tmp_path_factory.mktemp("cluster"), **options))
        return clusters[-1]

    yield make
    postgres.heal()
    for cluster in clusters:
        cluster.stop()
