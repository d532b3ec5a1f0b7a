//! Stories of the client against a server made of the protocol's parts, which says and sees every frame itself.
//!
//! Time stands still in them, and moves on only when nobody has anything to do: a story that would hang ends with a
//! lost connection instead.

mod cancelling;
mod draining;
mod flowing;
mod giving_back;
mod hostile;
mod initial;
mod living;
mod losing;
mod receiving;
mod sending;
mod serving;
mod wire;
