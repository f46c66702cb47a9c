"""Code that tests share; imported as `helpers`, in the tests and in the processes that they start."""
