"""What `PylonClient` offers: made from the modules of `AsyncPylonClient`, never edited by hand."""
