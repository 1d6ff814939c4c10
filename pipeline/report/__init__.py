"""The report: figures, the page, the tables behind them."""
