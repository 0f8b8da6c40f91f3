#![doc = include_str!("../README.md")]

mod upstream;

pub use upstream::http_client;
