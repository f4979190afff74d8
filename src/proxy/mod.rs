//! The request path: ingress, dispatch, attempts, answers.
