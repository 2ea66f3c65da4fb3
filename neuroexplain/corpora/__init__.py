"""Documents → token sequences → splits.

    sources ─▶ Text ─ tokens.build ─▶ TokenCorpus
      ├ files, hub, python_docs       where records come from
      └ chat                          conversations → texts, on request
                        ├ encoding    text → token ids and character offsets, long ones in `pieces`
                        ├ duplicates  similar documents → groups
                        ├ splits      groups → explain, select, test
                        └ spans       tokens → spans of seq_len

No torch here. `tokens.build` is the way in.
"""
