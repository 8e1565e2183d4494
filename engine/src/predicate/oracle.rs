//! Tests of the graph against a plain evaluator: no memory, no index, no sharing.
