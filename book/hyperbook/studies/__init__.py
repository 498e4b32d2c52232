"""Studies of what was trained: the auction of case 3d, calibration, interventions, settings, replays."""
