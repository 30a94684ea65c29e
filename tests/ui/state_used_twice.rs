use steadfast::lifecycle::{Life, state};

fn main() {
    let life = Life::new();
    let _ = life.enter(state::Terminated { reason: "done".into() });
    let _ = life.enter(state::Terminated { reason: "done again".into() });
}
