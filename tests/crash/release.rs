//! A release build holds no point.
