//! What is reckoned, and what is told from what was asked for.
