//! Values: parsed once at the door, shown in one form.

mod api_key;
mod code;
mod name;
mod stream;
mod time;
