"""Documents → token sequences → splits.

    sources ─▶ (text, source) ─ tokens.build ─▶ TokenCorpus
                                  ├ encoding     text → token ids and character offsets
                                  ├ duplicates   similar documents → groups
                                  ├ splits       groups → explain, select, test
                                  └ spans        tokens → spans of seq_len

No torch here. `tokens.build` is the way in.
"""
