"""Dense layers, here to show that both gradients of a matrix product are matrix products again."""


def linear(x, w, b=None):
    """y = x w + b."""
    return x @ w if b is None else x @ w + b


def linear_grad_input(dy, w):
    """dx = dy w^T."""
    return dy @ w.T


def linear_grad_weight(x, dy):
    """dw = x^T dy."""
    return x.T @ dy
