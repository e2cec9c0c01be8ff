"""One seed of the sweep, drawn anew each time; its number is printed."""

import swarm


def test_a_random_mix_of_faults(postgres, tmp_path, seed):
    run = swarm.Swarm(seed, postgres, tmp_path)
    try:
        run.run()
    finally:
        print("\n".join(run.said))
