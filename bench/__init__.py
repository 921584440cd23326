"""The stopwatch: ratios of two sides in one interleaved run, with spread and memory; nothing here passes or fails a build."""
