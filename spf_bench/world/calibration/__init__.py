"""How far each judge of the world follows the truth: graded damage and wrong attributes, both known exactly."""

from spf_bench.world.calibration.follow import LADDERS_OF, Follow, calibrate

__all__ = ["LADDERS_OF", "Follow", "calibrate"]
