"""What a run leaves behind: its folder, figures, environment, log and tracking."""
