//! Tests of the built program from outside.
