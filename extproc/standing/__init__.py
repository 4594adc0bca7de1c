"""How targets and keys of providers stand: which are asked, which are left alone for a while, and why."""
