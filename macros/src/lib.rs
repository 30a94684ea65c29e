//! The attribute [`sim_test`](macro@sim_test) of steadfast. Use it as `steadfast::sim_test`, with the feature `testing`.

use std::fmt::Write as _;

use proc_macro::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};

/// The options that stand alone, and those with a value.
const ALONE: [&str; 2] = ["twice", "may_not_fire"];
const WITH_VALUE: [&str; 6] = ["seeds", "from_seed", "faults", "chaos", "interleave", "limit"];

/// Makes a test of an async function of a world: `async fn name(world: World)`, with or without a `Result`.
///
/// It runs once for each seed, in a thread and a simulated world of its own; see `steadfast::testing::Sim`, whose methods
/// the options are.
///
/// ```ignore
/// #[steadfast::sim_test(seeds = 100, faults = "panic at before-message of root/w #2")]
/// async fn a_worker_that_crashes_comes_back(world: World) -> Result<(), BoxError> {
///     let node = world.start(tree).await?;
///     world.eventually(Duration::from_secs(1), "started root/w #2").await;
///     Ok(())
/// }
/// ```
///
/// | option | |
/// |---|---|
/// | `seeds = 100` | how many seeds; 1 where nothing is said |
/// | `from_seed = 17` | the first; 0 where nothing is said |
/// | `faults = "..."` | a plan of faults; each must come |
/// | `chaos = "..."` | faults by chance |
/// | `interleave = 3` | agents are held back by up to so many turns |
/// | `limit = Duration::from_hours(1)` | for how much virtual time it may go on |
/// | `may_not_fire` | a fault of the plan need not come |
/// | `twice` | each seed twice, and the same must happen |
///
/// What is wrong with it is said by the compiler; a plan that cannot be read, by the test.
#[proc_macro_attribute]
pub fn sim_test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item).unwrap_or_else(|(problem, span)| error(&problem, span))
}

type Problem = (String, Span);

fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream, Problem> {
    let options = read_options(options)?;
    let (attributes, function, name) = read_function(item)?;
    let tokens = |text: String| text.parse::<TokenStream>().map_err(|error| (error.to_string(), Span::call_site()));
    let head = tokens(format!("#[test] fn {name}()"))?;
    let path = format!("::std::concat!(::std::module_path!(), \"::\", ::std::stringify!({name}))");
    let run = tokens(format!("::steadfast::testing::Sim::new({path}){options}.run({name});"))?;
    let body = Group::new(Delimiter::Brace, function.into_iter().chain(run).collect());
    Ok(attributes.into_iter().chain(head).chain([TokenTree::Group(body)]).collect())
}

/// The options, as calls of methods.
fn read_options(options: TokenStream) -> Result<String, Problem> {
    let mut calls = String::new();
    let mut tokens = options.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let span = token.span();
        let name = token.to_string();
        if ALONE.contains(&&*name) {
            let _ = write!(calls, ".{name}()");
        } else if WITH_VALUE.contains(&&*name) {
            let is_equals = matches!(tokens.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == '=');
            let is_of_value = |token: &TokenTree| !matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
            let value: TokenStream = std::iter::from_fn(|| tokens.next_if(is_of_value)).collect();
            if value.is_empty() || !is_equals {
                return Err((format!("`{name}` needs a value: `{name} = ..`"), span));
            }
            let _ = write!(calls, ".{name}({value})");
        } else {
            let known = [&WITH_VALUE[..], &ALONE[..]].concat().join("`, `");
            return Err((format!("`{name}` is no option of `sim_test`; there are `{known}`"), span));
        }
        match tokens.next() {
            None => {}
            Some(TokenTree::Punct(comma)) if comma.as_char() == ',' => {}
            Some(other) => return Err(("expected `,` between two options".to_owned(), other.span())),
        }
    }
    Ok(calls)
}

/// The attributes before the function, the function, and its name.
fn read_function(item: TokenStream) -> Result<(Vec<TokenTree>, Vec<TokenTree>, Ident), Problem> {
    let tokens: Vec<TokenTree> = item.into_iter().collect();
    let mut begin = 0;
    while is_attribute(&tokens[begin..]) {
        begin += 2;
    }
    let (attributes, function) = tokens.split_at(begin);
    let words: Vec<String> = function.iter().take(2).map(ToString::to_string).collect();
    let wrong = |problem: &str| {
        let span = function.first().map_or_else(Span::call_site, TokenTree::span);
        (problem.to_owned(), span)
    };
    if words != ["async", "fn"] {
        return Err(wrong("`sim_test` is for an `async fn` of a `World`, private to its module"));
    }
    let name = match function.get(2) {
        Some(TokenTree::Ident(name)) => name.clone(),
        _ => return Err(wrong("the function has no name")),
    };
    let takes_a_world = matches!(
        function.get(3),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis && !group.stream().is_empty()
    );
    if !takes_a_world {
        return Err(wrong("it takes the world that it runs in: `world: World`, and has no parameters of types"));
    }
    Ok((attributes.to_vec(), function.to_vec(), name))
}

fn is_attribute(tokens: &[TokenTree]) -> bool {
    matches!(
        tokens,
        [TokenTree::Punct(hash), TokenTree::Group(group), ..]
            if hash.as_char() == '#' && group.delimiter() == Delimiter::Bracket
    )
}

fn error(problem: &str, span: Span) -> TokenStream {
    let text = TokenTree::Literal(Literal::string(problem)).to_string();
    let call: TokenStream = format!("::std::compile_error!({text});").parse().unwrap_or_default();
    call.into_iter()
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}
