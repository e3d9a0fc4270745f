def write_context(*a,**k): pass
