"""studies.yaml and a bibliography become a `StudyTable`: one row per effect, every cell with its line."""
