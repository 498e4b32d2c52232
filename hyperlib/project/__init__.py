"""What measures the project itself: speed, replays of released seeds, the designed experiment."""
