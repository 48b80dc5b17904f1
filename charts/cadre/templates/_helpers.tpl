{{/* The name that every object begins with: the release's, made to say cadre. */}}
{{- define "cadre.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "cadre" $name) -}}{{- $name = printf "%s-cadre" $name -}}{{- end -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "cadre.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels of every object. Call with (dict "root" $ "component" "operator"); the component may be absent. */}}
{{- define "cadre.labels" -}}
app.kubernetes.io/name: cadre
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: cadre
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* What selects the pods of one component. */}}
{{- define "cadre.selector" -}}
app.kubernetes.io/name: cadre
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "cadre.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "cadre.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Spread over nodes where there are several. */}}
{{- define "cadre.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "cadre.selector" . | nindent 6 }}
{{- end -}}

{{/* The operator's configuration: the schema is operator/config.ts. */}}
{{- define "cadre.operatorConfig" -}}
image: {{ include "cadre.image" . | quote }}
namespace: {{ .Release.Namespace | quote }}
routerSelector:
  {{- include "cadre.selector" (dict "root" . "component" "router") | nindent 2 }}
operatorSelector:
  {{- include "cadre.selector" (dict "root" . "component" "operator") | nindent 2 }}
routeOwner:
  apiVersion: v1
  kind: ConfigMap
  plural: configmaps
  name: {{ include "cadre.fullname" . }}-routes
{{- $profiles := dict -}}
{{- range $name, $profile := .Values.gpuProfiles -}}
{{- if $profile -}}{{- $_ := set $profiles $name $profile -}}{{- end -}}
{{- end }}
{{ toYaml (dict
  "watchNamespaces" .Values.watchNamespaces
  "engines" .Values.engines
  "gpuProfiles" $profiles
  "providers" (pick .Values.providers "allowedHosts" "allowedCIDRs")
  "monitoring" .Values.monitoring
  "hub" .Values.hub
  "openShortNames" .Values.openShortNames
  "drain" .Values.drain
) }}
{{- end -}}

{{/* The router's configuration: the schema is runtime/router/config.ts. */}}
{{- define "cadre.routerConfig" -}}
{{- $providers := pick .Values.providers "allowedCIDRs" "deniedCIDRs" -}}
{{- if .Values.providers.ca.configMap -}}
{{- $_ := set $providers "caFile" (printf "/etc/cadre-ca/%s" .Values.providers.ca.key) -}}
{{- end -}}
namespace: {{ .Release.Namespace | quote }}
service: {{ include "cadre.fullname" . }}-router
# As whole numbers: Helm would write large ones with an exponent.
bodyLimitBytes: {{ .Values.router.bodyLimitBytes | int64 }}
{{ toYaml (dict
  "client" (merge (dict "maxBufferedBytes" (int64 .Values.router.client.maxBufferedBytes)) .Values.router.client)
  "retries" .Values.router.retries
  "accessLog" .Values.router.accessLog
  "tracing" .Values.router.tracing
  "providers" $providers
  "drain" .Values.drain
) }}
{{- end -}}
