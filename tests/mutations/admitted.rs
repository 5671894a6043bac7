//! The mutants that are let in, before a running operator.
