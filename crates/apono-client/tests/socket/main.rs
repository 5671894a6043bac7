//! The client over a real socket, against a server that a test scripts byte for byte. One binary,
//! so that the server is built once.

// The attribute tells clippy that the helpers, too, are test code.
#[cfg(test)]
mod all_calls;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod every;
#[cfg(test)]
mod odd_answers;
#[cfg(test)]
mod older;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod wire;
