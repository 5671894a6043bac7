//! The client against the simulated service, over a real socket: what it makes of every answer, and
//! what the service really did meanwhile. One binary, so that both are linked once.

// The attribute tells clippy that the helpers, too, are test code.
#[cfg(test)]
mod available;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod older;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod switches;
