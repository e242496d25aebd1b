"""Policy, samples and bank of a pull request's base branch, by which it is judged: it cannot choose its verdict."""
