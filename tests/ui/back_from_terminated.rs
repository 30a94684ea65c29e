use steadfast::lifecycle::{Life, state};

fn main() {
    let ended = Life::new().enter(state::Terminated { reason: "done".into() });
    let _ = ended.enter(state::Unregistered);
}
