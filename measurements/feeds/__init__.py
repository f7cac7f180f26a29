"""What is asked again and again: one source a module; how it is asked, and what it says. No Django here."""
