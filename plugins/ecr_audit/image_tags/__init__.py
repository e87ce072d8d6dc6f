"""Which image tags were overwritten: reads the digests that tags point to, night by night, and compares them."""
