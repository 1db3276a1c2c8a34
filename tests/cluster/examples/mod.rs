//! The examples, rendered by kubectl's kustomize and by helm, and applied beside a running operator. Emails are counted.

mod bad_lists;
mod kustomize;
mod lists;
mod secrets;
pub mod support;
mod three_people;
