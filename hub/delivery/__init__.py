"""What was delivered: reports pulled in three resumable steps into versioned facts."""
