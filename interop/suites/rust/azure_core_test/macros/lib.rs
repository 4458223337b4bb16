//! The attribute macro of azure_core_test: `#[recorded::test(live)]`.

use proc_macro::{Group, TokenStream, TokenTree};

/// Makes a test of an async function that takes a TestContext, or nothing.
#[proc_macro_attribute]
pub fn test(_: TokenStream, function: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = function.into_iter().collect();
    let at = tokens.iter().position(|t| t.to_string() == "fn").expect("a function");
    let name = tokens[at + 1].to_string();
    let TokenTree::Group(parameters) = &tokens[at + 2] else { panic!("parameters") };
    let argument = if parameters.stream().is_empty() { "" } else { "::azure_core_test::TestContext::live()" };
    // Attributes such as ignore belong to the test, not to the function that it calls.
    let start = tokens.iter().position(|t| t.to_string() == "async").expect("an async function");
    let attributes: TokenStream = tokens[..start].iter().cloned().collect();
    let mut inner: Vec<TokenTree> = tokens[start..].to_vec();
    let renamed = format!("inner_{name}");
    inner[at - start + 1] = TokenTree::Ident(proc_macro::Ident::new(&renamed, tokens[at + 1].span()));
    let body = Group::new(proc_macro::Delimiter::Brace, format!("{renamed}({argument}).await").parse().expect("a call"));
    let result: TokenStream = tokens[at + 3..tokens.len() - 1].iter().cloned().collect();
    let mut out = TokenStream::new();
    out.extend(attributes);
    out.extend(format!("#[::tokio::test(flavor = \"multi_thread\")] async fn {name}()").parse::<TokenStream>());
    out.extend(result);
    out.extend([TokenTree::Group(body)]);
    out.extend(inner);
    out
}
