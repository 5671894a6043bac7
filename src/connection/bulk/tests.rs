//! Real calls to the simulator.
