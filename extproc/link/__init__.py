"""The link between the workers and the control process: framed messages over a Unix socket, calls one way and pushes the other."""
