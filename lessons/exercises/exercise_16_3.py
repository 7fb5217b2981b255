"""Exercise 16.3, build: a jump in a chain of random numbers.

A random generator such as NumPy's PCG64 moves its state by state -> (m * state + c) %
modulus. Each state follows from the one before, so a thread that needs number 1000 of the
chain seems to need 1000 moves. But two moves together are one move of the same form:

    m * (m * state + c) + c = (m * m) * state + (m * c + c)

Write `jump(m, c, modulus, steps)`. It returns the pair (M, C), both smaller than the
modulus, such that (M * state + C) % modulus is the state after `steps` moves. Do not make
`steps` moves one by one: square as above, and go through the bits of `steps`. The check
uses up to 10**15 steps. Zero steps are the move (1, 0).

    jump(5, 3, 16, 2) -> (9, 2)

The package's kernel of dropout does this in each thread. So the GPU drops the same pixels
as the CPU.
"""


def jump(m, c, modulus, steps):
    """The multiplier and the increment of many moves at once."""
    # BEGIN SOLUTION
    M, C = 1, 0  # no move yet
    while steps:
        if steps % 2:
            M, C = m * M % modulus, (m * C + c) % modulus  # the moves so far, then this one
        m, c = m * m % modulus, (m * c + c) % modulus  # twice as many moves
        steps //= 2
    return M, C
    # Why it is right: let f be the move, and f^k the move k times. The loop keeps "m, c is
    # f^(2^i)" and "M, C is f^r", where r is the number that the last i bits of `steps`
    # form. A bit of 1 adds 2^i to r. All these moves commute, because they are powers of
    # the same f. It takes one round for each bit: 10 for 1000 moves, 50 for 10^15.
    # END SOLUTION


# --- check


def cases(rng):
    drand48 = 25214903917, 11, 2**48  # the generator of the C library
    return [
        (5, 3, 16, 2),
        (5, 3, 16, 0),
        (21, 11, 100, 7),
        (*drand48, 1000),
        (*drand48, 10**15),
    ]


def expected(m, c, modulus, steps):
    # the increment is the geometric sum c * (m**steps - 1) / (m - 1), which needs a larger
    # modulus to be divided
    M = pow(m, steps, (m - 1) * modulus)
    return M % modulus, c * ((M - 1) % ((m - 1) * modulus) // (m - 1)) % modulus


def _many_increments(m, c, modulus, steps):
    return pow(m, steps, modulus), c * steps % modulus


def _multiplied_increment(m, c, modulus, steps):
    return m * steps % modulus, c * steps % modulus


def _increment_power(m, c, modulus, steps):
    return pow(m, steps, modulus), pow(c, steps, modulus)


MISTAKES = {
    "every move multiplies the increments of the moves before it by m, so C is not steps * c": _many_increments,
    "the multipliers multiply: M is m to the power of steps, and not m * steps": _multiplied_increment,
    "the increments do not multiply. Two moves give C = m * c + c": _increment_power,
}
