{{- define "gate.name" -}}
{{- printf "%s" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "gate.both" -}}
app.kubernetes.io/name: gate
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* Of the service alone: the pod of `helm test` is no endpoint of it. */ -}}
{{- define "gate.selector" -}}
{{ include "gate.both" . }}
app.kubernetes.io/component: service
{{- end -}}

{{- define "gate.labels" -}}
{{ include "gate.both" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- /* The configuration with what is the chart's own. On PostgreSQL each process has its pod's name as executor. */ -}}
{{- define "gate.toml" -}}
{{- $own := dict "data" "/var/lib/gate/service" "listen" "0.0.0.0:8200" -}}
{{- if .Values.sharedLog.existingClaim -}}
{{- $_ := set $own "audit-log" "/var/lib/gate-log/reviews.jsonl" -}}
{{- end -}}
{{ toToml (merge $own (deepCopy .Values.config)) }}
{{- end -}}

{{- define "gate.env" -}}
{{- $secret := .Values.secretName -}}
{{- range list "GATE_WEBHOOK_SECRET" "GATE_SIGNING_KEY" }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ . }}}}
{{- end }}
{{- range list "GATE_SIGNING_KEY_PASSPHRASE" "GATE_MODEL_SIGNING_KEY" "GATE_PROBE_SEED" "GATE_METRICS_TOKEN" "MLFLOW_TRACKING_USERNAME" "MLFLOW_TRACKING_PASSWORD" }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: {{ . }}, optional: true}}
{{- end }}
- name: GATE_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ $secret | quote }}, key: GATE_DATABASE_URL, optional: {{ eq (int .Values.replicas) 1 }}}}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "gate.container" -}}
image: {{ printf "%s@%s" .Values.image.repository .Values.image.digest | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  {{- include "gate.env" . | trim | nindent 2 }}
{{- end -}}

{{- define "gate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- /* File by file: in a ConfigMap's folder they are links, which the gate does not follow. */ -}}
{{- define "gate.mounts" -}}
- {name: config, mountPath: /etc/gate/gate.toml, subPath: gate.toml, readOnly: true}
{{- range $name, $_ := .Values.files }}
- {name: config, mountPath: {{ printf "/etc/gate/%s" $name | quote }}, subPath: {{ $name | quote }}, readOnly: true}
{{- end }}
- {name: data, mountPath: /var/lib/gate}
- {name: scratch, mountPath: /tmp}
{{- if .Values.sharedLog.existingClaim }}
- {name: log, mountPath: /var/lib/gate-log}
{{- end }}
{{- range .Values.extraVolumeMounts }}
- {{ merge (dict "readOnly" true) . | toJson }}
{{- end }}
{{- end -}}

{{- define "gate.volumes" -}}
- name: config
  configMap: {name: {{ include "gate.name" . | quote }}}
- name: scratch
  emptyDir: {sizeLimit: {{ .Values.scratch.sizeLimit | quote }}}
{{- with .Values.sharedLog.existingClaim }}
- name: log
  persistentVolumeClaim: {claimName: {{ . | quote }}}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
