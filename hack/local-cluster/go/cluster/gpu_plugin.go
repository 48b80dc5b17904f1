package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	deviceplugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// runGPUPlugin offers the kubelet devices that are only numbers, so that scheduling, exhaustion and allocation are
// Kubernetes' own on a machine without a GPU. The kubelet empties its folder when it starts and forgets its plugins;
// then this one serves and registers again.
func runGPUPlugin() int {
	flags := flag.NewFlagSet("gpu-plugin", flag.ContinueOnError)
	resource := flags.String("resource", "nvidia.com/gpu", "name of the extended resource")
	count := flags.Int("count", 8, "number of devices")
	dir := flags.String("dir", "/var/lib/kubelet/device-plugins", "folder of the kubelet's socket")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	p := &gpuPlugin{resource: *resource, dir: *dir, devices: numberedDevices(*count)}
	for ctx.Err() == nil {
		if err := p.serveOnce(ctx); err != nil {
			log.Printf("%v; trying again", err)
		}
		sleep(ctx, time.Second)
	}
	return 0
}

type gpuPlugin struct {
	deviceplugin.UnimplementedDevicePluginServer
	resource string
	dir      string
	devices  []*deviceplugin.Device
}

func numberedDevices(count int) []*deviceplugin.Device {
	devices := make([]*deviceplugin.Device, count)
	for i := range devices {
		devices[i] = &deviceplugin.Device{ID: fmt.Sprintf("GPU-%d", i), Health: deviceplugin.Healthy}
	}
	return devices
}

// serveOnce registers with the kubelet that listens now, and returns when another one has taken its place.
func (p *gpuPlugin) serveOnce(ctx context.Context) error {
	kubeletSocket := filepath.Join(p.dir, "kubelet.sock")
	kubelet, err := os.Stat(kubeletSocket)
	if err != nil {
		return fmt.Errorf("no kubelet yet: %w", err)
	}
	name := strings.NewReplacer("/", "-", ".", "-").Replace(p.resource) + ".sock"
	socket := filepath.Join(p.dir, name)
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	deviceplugin.RegisterDevicePluginServer(server, p)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer server.Stop()
	if err := p.register(ctx, kubeletSocket, name); err != nil {
		return fmt.Errorf("the kubelet did not take the plugin: %w", err)
	}
	log.Printf("offering %d of %s", len(p.devices), p.resource)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return err
		case <-time.After(500 * time.Millisecond):
		}
		now, err := os.Stat(kubeletSocket)
		if err != nil || !os.SameFile(kubelet, now) || !now.ModTime().Equal(kubelet.ModTime()) {
			return errors.New("the kubelet restarted")
		}
	}
}

func (p *gpuPlugin) register(ctx context.Context, kubeletSocket, name string) error {
	connection, err := grpc.NewClient("unix://"+kubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err = deviceplugin.NewRegistrationClient(connection).Register(ctx, &deviceplugin.RegisterRequest{
		Version:      deviceplugin.Version,
		Endpoint:     name,
		ResourceName: p.resource,
	})
	return err
}

func sleep(ctx context.Context, duration time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(duration):
	}
}

func (p *gpuPlugin) GetDevicePluginOptions(context.Context, *deviceplugin.Empty) (*deviceplugin.DevicePluginOptions, error) {
	return &deviceplugin.DevicePluginOptions{}, nil
}

func (p *gpuPlugin) ListAndWatch(_ *deviceplugin.Empty, stream grpc.ServerStreamingServer[deviceplugin.ListAndWatchResponse]) error {
	if err := stream.Send(&deviceplugin.ListAndWatchResponse{Devices: p.devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// Allocate tells the container its devices as NVIDIA's plugin does.
func (p *gpuPlugin) Allocate(_ context.Context, request *deviceplugin.AllocateRequest) (*deviceplugin.AllocateResponse, error) {
	response := &deviceplugin.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses, &deviceplugin.ContainerAllocateResponse{
			Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ",")},
		})
	}
	return response, nil
}
