//! Guarantee: code that blocks its thread is noticed, and has no effect any more once its life was given up.

mod below;
mod blocking;
mod domains;
mod fenced;
mod gate;
mod given_up;
mod patterns;
mod routes;
