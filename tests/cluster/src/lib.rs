//! Tests of the middle: see `it/` (a cluster in one process, in virtual time) and `stored/` (golden files of every stored
//! form).
