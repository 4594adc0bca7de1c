"""Where answers are kept for the cache: in the memory of the control process, or in Redis. What is kept, and when, others decide."""
