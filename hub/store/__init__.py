"""What the hub remembers. The only package that imports the database driver; every statement takes time as a parameter."""
