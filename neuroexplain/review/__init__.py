"""The review page: a local web application over a catalogue and a file of reviews.

`serving` binds and opens the browser, `security` lets in who holds the printed address, `app` puts the parts together. `desk`
is what every request works with. `api` is the JSON interface, which the pages use too; `pages` renders HTML from what `views`
make of the catalogue's records; `static` has the style sheets and scripts.
"""
