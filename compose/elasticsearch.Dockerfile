# The official image; smartcn is the one analyzer of Hitweave that it does not bring.
FROM elasticsearch:9.5.3
RUN bin/elasticsearch-plugin install --batch analysis-smartcn
