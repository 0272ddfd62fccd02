"""Many runs of the command line: what is missing is trained, some at a time, resumably."""
