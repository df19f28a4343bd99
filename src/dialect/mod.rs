//! Ways of talking: bytes to lines, lines to commands, events to bytes.
